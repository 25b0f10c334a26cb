// Makes the data set of this chapter: `make_photographs FOLDER COUNT` writes COUNT JPEG files of 500x375 pixels, always
// the same ones.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <given/photographs.hpp>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("make_photographs FOLDER COUNT\n", stderr);
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    for (int i = 0; i < std::atoi(argv[2]); ++i) {
      char name[32];
      std::snprintf(name, sizeof(name), "%05d.jpg", i);
      write_jpeg(folder / name, draw_photograph(static_cast<std::uint64_t>(i)));
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_photographs: %s\n", error.what());
    return 1;
  }
}
