import { duration, integer, texts, toggle, under } from "./option.ts";

/** When pods go because the board runs short of something. */
export const evictionOptions = under("Eviction, when the board runs short:", {
  evictionHard: texts(
    "eviction-hard",
    "SIGNAL=AMOUNT",
    "SIGNAL<AMOUNT: a pod goes at once when less is left of memory.available, nodefs.available, nodefs.inodesFree, imagefs.available, imagefs.inodesFree or pid.available, by quantity or percentage; pods get no more than what remains",
    [
      "memory.available<100Mi",
      "nodefs.available<10%",
      "nodefs.inodesFree<5%",
      "imagefs.available<15%",
      "imagefs.inodesFree<5%",
    ],
  ),
  evictionSoft: texts(
    "eviction-soft",
    "SIGNAL=AMOUNT",
    "likewise SIGNAL<AMOUNT, but only when it has been so for a grace period",
  ),
  evictionSoftGracePeriod: texts("eviction-soft-grace-period", "SIGNAL=DURATION", "that grace period"),
  evictionMinimumReclaim: texts(
    "eviction-minimum-reclaim",
    "SIGNAL=AMOUNT",
    "how much beyond the threshold must be free again before no more pods go",
  ),
  evictionMaxPodGracePeriod: integer(
    "eviction-max-pod-grace-period",
    "SECONDS",
    "how long a pod that goes for a soft threshold has to end, at most",
    0,
    { min: 0, max: 86_400 },
  ),
  evictionPressureTransitionPeriod: duration(
    "eviction-pressure-transition-period",
    "how long a condition of pressure stays when it is over",
    "5m",
  ),
  mergeDefaultEvictionSettings: toggle(
    "merge-default-eviction-settings",
    "signals that --eviction-hard does not name keep their defaults (a field of KubeletConfiguration)",
    false,
  ),
} as const);
