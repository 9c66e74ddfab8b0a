import { closeSync, openSync } from "node:fs";

/** Opens another network namespace and this thread's own, for the length of one call. Throws what openSync does. */
export function withNamespace<T>(namespacePath: string, use: (namespace: number, own: number) => T): T {
  const namespace = openSync(namespacePath, "r");
  try {
    const own = openSync("/proc/thread-self/ns/net", "r");
    try {
      return use(namespace, own);
    } finally {
      closeSync(own);
    }
  } finally {
    closeSync(namespace);
  }
}
