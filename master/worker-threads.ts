/** Files that run as threads of their own, by their place in the source tree. The build makes each an entry point of the binary. */
export const workerFiles = {
  sqlite: "master/store/sqlite-worker.ts",
  yaml: "master/apiserver/http/yaml-worker.ts",
} as const;

/** What `new Worker` finds the file by: in a compiled binary it lies under the path that it has in the source tree. */
export function workerAddress(name: keyof typeof workerFiles): string | URL {
  const file = workerFiles[name];
  return import.meta.url.includes("$bunfs") ? `./${file}` : new URL(`../${file}`, import.meta.url);
}
