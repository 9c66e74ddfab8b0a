import { randomUUID } from "node:crypto";
import type { ContainerConfig, SandboxConfig } from "../runtime.ts";

/** Of a pod of its own, with a network. */
export function sandboxConfig(overrides: Partial<SandboxConfig> = {}): SandboxConfig {
  return {
    pod: { uid: randomUUID(), namespace: "default", name: "web" },
    attempt: 0,
    hostname: "web",
    labels: { app: "web" },
    annotations: { note: "a b" },
    network: "pod",
    hostPID: false,
    hostIPC: false,
    shareProcessNamespace: false,
    sysctls: {},
    portMappings: [],
    ...overrides,
  };
}

/** Of a container in the sandbox that asks for nothing. */
export function containerConfig(
  sandbox: SandboxConfig,
  image: string,
  overrides: Partial<ContainerConfig> = {},
): ContainerConfig {
  return {
    pod: sandbox.pod,
    name: "main",
    attempt: 0,
    image,
    env: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: {},
    security: {
      privileged: false,
      readOnlyRootFilesystem: false,
      noNewPrivileges: false,
      addCapabilities: [],
      dropCapabilities: [],
      supplementalGroups: [],
    },
    ...overrides,
  };
}
