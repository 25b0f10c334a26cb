#include "explorer/memory/race_detector.hpp"

#include <sys/mman.h>

#include <cstdio>
#include <new>

#include "explorer/engine/engine.hpp"
#include "explorer/intercept/allocation.hpp"

namespace explorer {

namespace {

using Clock = std::uint32_t;

struct Access {
  Clock clock;
  std::uint8_t thread;
  std::uint8_t bytes;  // of the granule, one bit each
  bool writes;
  bool atomic;
};

// What happened to eight bytes of memory. One cache line.
struct Cell {
  static constexpr int most_accesses = 7;
  std::uint32_t generation;
  std::uint8_t count;
  bool freed;
  bool shared;  // kept from schedule to schedule
  std::uint8_t toucher;
  Access accesses[most_accesses];
};
static_assert(sizeof(Cell) == 64);

constexpr std::size_t hash_slots = 1 << 16;
constexpr int most_probes = 64;

struct Region {
  std::uintptr_t low = 0;
  std::size_t size = 0;
  Cell* cells = nullptr;

  bool has(std::uintptr_t address) const { return address - low < size; }
  Cell& cell(std::uintptr_t address) const { return cells[(address - low) >> 3]; }
};
Region stacks_region, heap_region;

struct Slot {
  std::uintptr_t granule;
};
Slot* slots;
Cell* slot_cells;
bool learnt;

void* map_cells(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return memory;
}

// Null when there is no more room: what cannot be followed is not judged.
Cell* find_cell(std::uintptr_t granule) {
  if (heap_region.has(granule)) return &heap_region.cell(granule);
  if (stacks_region.has(granule)) return &stacks_region.cell(granule);
  std::size_t at = ((granule >> 3) * 0x9E3779B97F4A7C15ULL >> 40) & (hash_slots - 1);
  for (int probe = 0; probe < most_probes; ++probe, at = (at + 1) & (hash_slots - 1)) {
    if (slots[at].granule == granule) return &slot_cells[at];
    if (slots[at].granule == 0) {
      slots[at].granule = granule;
      return &slot_cells[at];
    }
  }
  return nullptr;
}

[[noreturn]] void report_race(const volatile void* address, std::size_t size, bool writes, bool atomic,
                              const Access& other) {
  engine.note_race(address, size, other.thread, other.writes);
  char message[256];
  std::snprintf(message, sizeof(message), "T%d %s%s and T%d %s%s the same memory, and nothing orders the two",
                other.thread, other.writes ? "writes" : "reads", other.atomic ? " (atomically)" : "",
                engine.current().id, writes ? "writes" : "reads", atomic ? " (atomically)" : "");
  engine.fail(Failure::data_race, message);
}

void check_and_record(Cell& cell, std::uint8_t bytes, bool writes, bool atomic, const volatile void* address,
                      std::size_t size) {
  Thread& me = engine.current();
  if (cell.generation != engine.generation()) {
    cell.generation = engine.generation();
    cell.count = 0;
    cell.freed = false;
    cell.toucher = static_cast<std::uint8_t>(me.id);
  }
  if (cell.freed)
    engine.fail(Failure::memory_error, writes ? "a write to memory that was freed" : "a read of memory that was freed");
  if (cell.toucher != me.id && !cell.shared && !engine.race_detection()) {
    bool written = writes;
    for (int i = 0; i < cell.count; ++i) written = written || cell.accesses[i].writes;
    if (written) cell.shared = learnt = true;
  }
  Access now{me.clock.time[me.id], static_cast<std::uint8_t>(me.id), bytes, writes, atomic};
  int same = -1;
  for (int i = 0; i < cell.count; ++i) {
    const Access& other = cell.accesses[i];
    if (other.thread == me.id) {
      if (other.writes == writes && other.atomic == atomic && other.bytes == bytes) {
        if (other.clock == now.clock) return;
        same = i;
      }
      continue;
    }
    if ((other.bytes & bytes) != 0 && (writes || other.writes) && !(atomic && other.atomic) &&
        other.clock > me.clock.time[other.thread] && engine.race_detection())
      report_race(address, size, writes, atomic, other);
  }
  if (same >= 0) {
    cell.accesses[same] = now;
  } else if (cell.count < Cell::most_accesses) {
    cell.accesses[cell.count++] = now;
  } else {
    // One that is ordered before this access can be forgotten: what races with it later races with this one too, or
    // comes after it.
    int out = 0;
    for (int i = 0; i < cell.count; ++i) {
      if (cell.accesses[i].clock <= me.clock.time[cell.accesses[i].thread]) out = i;
    }
    cell.accesses[out] = now;
  }
}

void access(const volatile void* address, std::size_t size, bool writes, bool atomic) {
  auto at = reinterpret_cast<std::uintptr_t>(address);
  std::uintptr_t end = at + size;
  while (at < end) {
    std::uintptr_t granule = at & ~std::uintptr_t{7};
    std::uintptr_t stop = granule + 8 < end ? granule + 8 : end;
    auto bytes = static_cast<std::uint8_t>(((1U << (stop - at)) - 1) << (at - granule));
    if (Cell* cell = find_cell(granule)) check_and_record(*cell, bytes, writes, atomic, address, size);
    at = stop;
  }
}

}  // namespace

void set_up_race_detector(const char* stacks, std::size_t size) {
  stacks_region = {reinterpret_cast<std::uintptr_t>(stacks), size,
                   static_cast<Cell*>(map_cells(size / 8 * sizeof(Cell)))};
  heap_region = {reinterpret_cast<std::uintptr_t>(heap_begin()), heap_size,
                 static_cast<Cell*>(map_cells(heap_size / 8 * sizeof(Cell)))};
  slots = static_cast<Slot*>(map_cells(hash_slots * sizeof(Slot)));
  slot_cells = static_cast<Cell*>(map_cells(hash_slots * sizeof(Cell)));
}

bool learn_shared_addresses() {
  bool result = learnt;
  learnt = false;
  return result;
}

void plain_access(const volatile void* address, std::size_t size, bool writes) {
  active = false;
  auto granule = reinterpret_cast<std::uintptr_t>(address) & ~std::uintptr_t{7};
  if (!engine.race_detection()) {
    Cell* cell = find_cell(granule);
    if (cell != nullptr && cell->shared) {
      engine.point({writes ? OperationKind::write : OperationKind::read, writes, reinterpret_cast<void*>(granule)});
      active = false;
      access(address, size, writes, false);
      if (writes) {
        engine.note_write(reinterpret_cast<void*>(granule));
      } else {
        engine.note_read(reinterpret_cast<void*>(granule), *reinterpret_cast<const volatile std::uint64_t*>(granule));
      }
      active = true;
      return;
    }
  }
  engine.note_access(address, size, writes);
  access(address, size, writes, false);
  engine.note_quiet_access();
  active = true;
}

void atomic_access(const volatile void* address, std::size_t size, bool writes) { access(address, size, writes, true); }

void mark_freed(const void* address, std::size_t size) {
  constexpr std::size_t most_bytes = 4096;  // enough to catch a use, not so much that large blocks cost
  Thread& me = engine.current();
  auto begin = reinterpret_cast<std::uintptr_t>(address);
  auto end = begin + (size < most_bytes ? size : most_bytes);
  for (auto granule = begin & ~std::uintptr_t{7}; granule < end; granule += 8) {
    Cell* cell = find_cell(granule);
    if (cell == nullptr) return;
    if (cell->generation == engine.generation()) {
      for (int i = 0; i < cell->count && engine.race_detection(); ++i) {
        const Access& other = cell->accesses[i];
        if (other.thread != me.id && other.clock > me.clock.time[other.thread]) {
          engine.note_step(OperationKind::free, reinterpret_cast<void*>(granule));
          engine.note_race(reinterpret_cast<void*>(granule), 8, other.thread, other.writes);
          char message[200];
          std::snprintf(message, sizeof(message), "T%d frees memory that T%d %s, and nothing orders the two", me.id,
                        other.thread, other.writes ? "writes" : "reads");
          engine.fail(Failure::data_race, message);
        }
      }
    }
    cell->generation = engine.generation();
    cell->count = 0;
    cell->freed = true;
  }
}

}  // namespace explorer
