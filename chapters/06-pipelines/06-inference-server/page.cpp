#include <06-inference-server/http.hpp>

std::string_view index_page() {
  return
#include "index_page.inc"
      ;
}
