// Loads a shared library and finds its functions, on every system. Knows nothing about what they do.
#pragma once

#include <string>

namespace evoked {

class SharedLibrary {
 public:
  SharedLibrary() = default;
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;
  ~SharedLibrary();
  /** An empty sentence where it worked, else the system's words. */
  std::string open(const std::string& file);
  void* find(const char* name) const;

 private:
  void* handle_ = nullptr;
};

}  // namespace evoked
