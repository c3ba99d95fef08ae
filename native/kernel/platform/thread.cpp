// Scheduling by sched_setattr, SetThreadPriority, or a class of quality of service.
#include "thread.h"

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__)
#include <pthread.h>
#include <sys/qos.h>
#elif defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace evoked {

#if defined(_WIN32)
bool favourThisThread() { return SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_HIGHEST) != 0; }
#elif defined(__APPLE__)
bool favourThisThread() { return pthread_set_qos_class_self_np(QOS_CLASS_USER_INTERACTIVE, 0) == 0; }
#elif defined(__linux__) && defined(SYS_sched_setattr) && defined(SYS_sched_getattr)
namespace {
/** As the kernel declares it (sched_setattr(2)); older C libraries have no header for it. */
struct SchedulingAttributes {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  /** Of an ordinary thread: the slice that it asks for, ns. Who asks for a short one is due earlier (EEVDF), and gets no more in all. */
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};
/** The shortest that the kernel grants. */
constexpr uint64_t sliceNs = 100 * 1000;
/** SCHED_FLAG_RESET_ON_FORK. */
constexpr uint64_t resetOnFork = 1;
}  // namespace

bool favourThisThread() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return false;
  // Somebody has given this process a policy of its own: theirs stands.
  if (attributes.policy != 0) return false;
  attributes.size = sizeof(attributes);
  // What this thread starts is ordinary again.
  attributes.flags = resetOnFork;
  attributes.runtime = sliceNs;
  return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}
#else
bool favourThisThread() { return false; }
#endif

}  // namespace evoked
