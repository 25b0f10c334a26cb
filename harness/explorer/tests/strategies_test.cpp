#include "explorer/tests/explored.hpp"
