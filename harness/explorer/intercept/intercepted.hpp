#pragma once

// A function that takes the place of one of the C library or of ThreadSanitizer's runtime. The linker puts it into the
// executable's dynamic symbols when a shared library asks for it, so libstdc++ calls it too.
#define EXPLORER_INTERCEPTED extern "C" __attribute__((visibility("default")))
