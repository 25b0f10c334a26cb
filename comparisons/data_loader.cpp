// 6.2's reference, as compare.py drives it: for each line of the input with the number of an epoch, goes through that
// epoch and prints the seconds; with a file's name behind the number it writes the samples there instead.
//
//   compare_data_loader FOLDER TIMES WORKERS BATCH SIDE     the files in the folder, that many times over

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <data_loader.hpp>
#include <exception>
#include <filesystem>
#include <fstream>
#include <given/photographs.hpp>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

int run(char** argv) {
  std::vector<std::filesystem::path> folder;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) folder.push_back(entry.path());
  std::sort(folder.begin(), folder.end());
  LoaderOptions options;
  for (int i = 0; i < std::stoi(argv[2]); ++i) options.files.insert(options.files.end(), folder.begin(), folder.end());
  const std::size_t side = std::stoul(argv[5]);
  options.load = load_photograph;
  options.sample_bytes = side * side * 3;
  options.workers = std::stoi(argv[3]);
  options.batch_size = std::stoi(argv[4]);

  ForkServer server;
  DataLoader loader(server, options);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::uint64_t epoch = 0;
    std::string file;
    words >> epoch >> file;
    std::ofstream samples;
    if (!file.empty()) samples.open(file, std::ios::binary);
    const auto start = std::chrono::steady_clock::now();
    loader.start_epoch(epoch);
    while (auto batch = loader.next()) {
      if (!file.empty()) {
        samples.write(reinterpret_cast<const char*>(batch->samples.data()),
                      static_cast<std::streamsize>(batch->samples.size()));
      }
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    samples.close();
    std::printf("%.6f\n", seconds.count());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 6) return run(argv);
    std::fprintf(stderr, "compare_data_loader FOLDER TIMES WORKERS BATCH SIDE\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare_data_loader: %s\n", error.what());
  }
  return 1;
}
