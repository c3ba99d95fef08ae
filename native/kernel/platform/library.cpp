// Shared libraries by LoadLibrary or dlopen.
#include "library.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace evoked {

#ifdef _WIN32
SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) FreeLibrary(static_cast<HMODULE>(handle_));
}
std::string SharedLibrary::open(const std::string& file) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, file.c_str(), -1, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, file.c_str(), -1, &wide[0], length);
  handle_ = LoadLibraryW(wide.c_str());
  return handle_ != nullptr ? "" : "Windows error " + std::to_string(GetLastError());
}
void* SharedLibrary::find(const char* name) const { return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(handle_), name)); }
#else
SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) dlclose(handle_);
}
std::string SharedLibrary::open(const std::string& file) {
  handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ != nullptr) return "";
  const char* words = dlerror();
  return words != nullptr ? words : "unknown reason";
}
void* SharedLibrary::find(const char* name) const { return dlsym(handle_, name); }
#endif

}  // namespace evoked
