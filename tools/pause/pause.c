// The process that holds a pod's namespaces. As PID 1 it reaps what its pod leaves behind, and ends on SIGTERM or
// SIGINT. Freestanding: no libc, no heap, no data; it sleeps in the kernel until a signal comes.
//
// The signals are blocked and waited for instead of handled: the kernel drops unhandled signals to a PID 1, but queues
// blocked ones.

#if defined(__x86_64__)
enum { SYS_exit_group = 231, SYS_wait4 = 61, SYS_rt_sigprocmask = 14, SYS_rt_sigtimedwait = 128 };

static long syscall4(long number, long a, long b, long c, long d) {
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
enum { SYS_exit_group = 94, SYS_wait4 = 260, SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137 };

static long syscall4(long number, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
#else
#error "no system calls known for this architecture"
#endif

enum { SIG_BLOCK = 0, SIGINT = 2, SIGTERM = 15, SIGCHLD = 17, WNOHANG = 1, SIGSET_BYTES = 8, EINTR = 4 };

static unsigned long bit(int signal) { return 1UL << (signal - 1); }

__attribute__((noreturn, used)) void run(void) {
  const unsigned long waited = bit(SIGINT) | bit(SIGTERM) | bit(SIGCHLD);
  syscall4(SYS_rt_sigprocmask, SIG_BLOCK, (long)&waited, 0, SIGSET_BYTES);
  for (;;) {
    const long signal = syscall4(SYS_rt_sigtimedwait, (long)&waited, 0, 0, SIGSET_BYTES);
    if (signal == SIGINT || signal == SIGTERM) break;
    if (signal < 0 && signal != -EINTR) break;
    while (syscall4(SYS_wait4, -1, 0, WNOHANG, 0) > 0) {
    }
  }
  for (;;) syscall4(SYS_exit_group, 0, 0, 0, 0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call run\n");
#else
__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x30, xzr\n  b run\n");
#endif
