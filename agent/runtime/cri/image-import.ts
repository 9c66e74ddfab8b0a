import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { errnoOf } from "#shared/files/if-present.ts";
import { RuntimeError } from "../runtime.ts";
import { longCall_ms } from "./client.ts";

const longestSaid_bytes = 64 * 1024;

/** Reads an image archive into containerd, by its `ctr`. Resolves with the names it brought. Rejects with RuntimeError. */
export async function importImages(socketPath: string, archive: Readable): Promise<string[]> {
  const tool = spawn("ctr", ["--address", socketPath, "--namespace", "k8s.io", "images", "import", "-"], {
    stdio: ["pipe", "pipe", "pipe"],
    timeout: longCall_ms,
  });
  let said = "";
  for (const stream of [tool.stdout, tool.stderr]) {
    stream.on("data", (chunk) => {
      if (said.length < longestSaid_bytes) said += String(chunk);
    });
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    tool.once("error", reject);
    tool.once("close", resolve);
  });
  try {
    // A tool that ends early breaks the pipe: what it said tells more.
    const [code] = await Promise.all([ended, pipeline(archive, tool.stdin).catch(() => undefined)]);
    if (code !== 0) throw new Error(said.trim() || `ctr ended with ${code ?? "a signal"}`);
  } catch (error) {
    const missing = errnoOf(error) === "ENOENT";
    const message = missing ? "only containerd with its tool ctr can be given images" : (error as Error).message;
    throw new RuntimeError("other", `load image: ${message}`, { cause: error });
  }
  return [...said.matchAll(/^unpacking (\S+) /gm)].map(([, name = ""]) => name);
}
