// AddressSanitizer puts itself before swapcontext(3), and at the first call it warns that it does not fully support it:
// in writing, and the supervisor takes what a sanitizer writes for its verdict. What it lacks, the program tells it by
// __sanitizer_start_switch_fiber, and then the function that does the work is enough: the C library's. Programs in the
// lens asan are linked with --wrap for this call.

#include <dlfcn.h>
#include <ucontext.h>

extern "C" int __wrap_swapcontext(ucontext_t* from, const ucontext_t* to) {
  using Function = int (*)(ucontext_t*, const ucontext_t*);
  static const auto swap_context = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "swapcontext"));
  return swap_context(from, to);
}
