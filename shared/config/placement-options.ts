import { choice, text, texts, under } from "./option.ts";

/** On which CPUs containers run, and whose these are. */
export const placementOptions = under("CPUs of containers:", {
  cpuManagerPolicy: choice(
    "cpu-manager-policy",
    "static: containers of guaranteed pods that ask for whole CPUs have these to themselves; something must be reserved of the board's CPU",
    ["none", "static"],
    "none",
  ),
  cpuManagerPolicyOptions: texts(
    "cpu-manager-policy-options",
    "OPTION=BOOL",
    "full-pcpus-only: whole cores alone; strict-cpu-reservation: nobody runs on what is reserved",
  ),
  reservedCpus: text(
    "reserved-cpus",
    "CPUS",
    "CPUs kept for Kubernetes and the system, as 0-1,3, instead of what is reserved of their time",
    "",
  ),
  memoryManagerPolicy: choice(
    "memory-manager-policy",
    "Static: memory of guaranteed pods from one NUMA node, as boards with one have it anyway; it is not resized then",
    ["None", "Static"],
    "None",
  ),
  topologyManagerPolicy: choice(
    "topology-manager-policy",
    "what a pod has should be of one NUMA node; on boards with one it always is",
    ["none", "best-effort", "restricted", "single-numa-node"],
    "none",
  ),
  topologyManagerScope: choice(
    "topology-manager-scope",
    "whether that is looked at for containers or for pods",
    ["container", "pod"],
    "container",
  ),
} as const);
