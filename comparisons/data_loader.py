"""PyTorch's DataLoader on the work of 6.2: the same files, order, crops, resize and flips, decoded by Pillow. Takes
what data_loader.cpp takes, and answers in the same way. Its workers live on from epoch to epoch, as ours do."""
import sys
import time
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler

MASK = 2**64 - 1


class Random:
    """given/random.hpp: SplitMix64, started from three numbers."""

    def __init__(self, *numbers):
        self.state = numbers[0]
        for number in numbers[1:]:
            self.state = self() ^ number

    def __call__(self):
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def below(self, count):
        return (self() >> 32) * count >> 32


class Photographs(Dataset):
    def __init__(self, files, side):
        self.files, self.side = files, side

    def __len__(self):
        return len(self.files)

    def __getitem__(self, sample):
        epoch, index = sample
        random = Random(0, epoch, index)
        image = Image.open(self.files[index])
        width = max(image.width * (50 + random.below(51)) // 100, 1)
        height = max(image.height * (50 + random.below(51)) // 100, 1)
        x = random.below(image.width - width + 1)
        y = random.below(image.height - height + 1)
        flip = random.below(2) == 1
        image = image.crop((x, y, x + width, y + height)).resize((self.side, self.side), Image.Resampling.BILINEAR)
        if flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(numpy.array(image))


class EpochOrder(Sampler):
    """epoch_order() of given/random.hpp. Each sample says its epoch: the workers' copies of the data set are old."""

    def __init__(self, count):
        self.count, self.epoch = count, 0

    def __len__(self):
        return self.count

    def __iter__(self):
        order, random = list(range(self.count)), Random(0, self.epoch, MASK)
        for left in range(self.count, 1, -1):
            other = random.below(left)
            order[left - 1], order[other] = order[other], order[left - 1]
        return iter([(self.epoch, index) for index in order])


def main():
    folder, times, workers, batch, side = Path(sys.argv[1]), *map(int, sys.argv[2:])
    files = sorted(folder.iterdir()) * times
    order = EpochOrder(len(files))
    loader = DataLoader(Photographs(files, side), batch_size=batch, sampler=order, num_workers=workers,
                        prefetch_factor=2, persistent_workers=True)
    for line in sys.stdin:
        epoch, *file = line.split()
        order.epoch = int(epoch)
        samples = open(file[0], "wb") if file else None
        start = time.perf_counter()
        for tensor in loader:
            if samples:
                samples.write(tensor.numpy().tobytes())
        seconds = time.perf_counter() - start
        if samples:
            samples.close()
        print(f"{seconds:.6f}", flush=True)


if __name__ == "__main__":
    main()
