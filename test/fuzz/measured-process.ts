/**
 * Loaded before a program (--preload by BUN_OPTIONS, which a compiled one heeds too): at SIGUSR2 it collects its garbage
 * and writes what is left to $MEASURE_FILE.
 */

import { heapStats } from "bun:jsc";
import { renameSync, writeFileSync } from "node:fs";

const file = process.env["MEASURE_FILE"];
// Threads load this too; the process is measured by its first.
if (file && Bun.isMainThread) {
  process.on("SIGUSR2", () => {
    Bun.gc(true);
    Bun.gc(true);
    const { heapSize, objectCount, protectedObjectCount } = heapStats();
    writeFileSync(`${file}.new`, JSON.stringify({ heapSize, objectCount, protectedObjectCount }));
    renameSync(`${file}.new`, file);
  });
}
