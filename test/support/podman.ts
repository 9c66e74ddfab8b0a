import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { loadTestImage, removeAllContainers, startAttempts, type TestDockerd, writePluginWrappers } from "./dockerd.ts";
import { removeWithMounts } from "./remove-with-mounts.ts";

/** Whether this machine can run the tests that need Podman. */
export function canRunPodman(): boolean {
  return process.getuid?.() === 0 && Bun.which("podman") !== null && Bun.which("busybox") !== null;
}

/** Podman's Docker-compatible service with files and a network namespace of its own; otherwise as `startDockerd`. */
export async function startPodman(): Promise<TestDockerd> {
  const directory = mkdtempSync(join(tmpdir(), "brp-"));
  const namespaceName = `brp-${randomBytes(4).toString("hex")}`;
  execFileSync("ip", ["netns", "add", namespaceName]);
  const namespace = `--net=/run/netns/${namespaceName}`;
  const run = (command: string, ...args: string[]): string =>
    execFileSync("nsenter", [namespace, command, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  run("ip", "link", "set", "lo", "up");
  const socketPath = join(directory, "p.sock");
  const logPath = join(directory, "podman.log");
  const log = openSync(logPath, "a");
  const configuration = join(directory, "containers.conf");
  // Where root may not raise limits, Podman's own defaults would be refused.
  const limits = ["nofile=1024:1024", "nproc=4096:4096"].map((limit) => JSON.stringify(limit)).join(", ");
  writeFileSync(configuration, `[containers]\ndefault_ulimits = [${limits}]\n[engine]\nevents_logger = "file"\n`);
  const service = spawn(
    "nsenter",
    [
      namespace,
      "podman",
      `--root=${join(directory, "data")}`,
      `--runroot=${join(directory, "run")}`,
      `--tmpdir=${join(directory, "tmp")}`,
      // What Debian's docker.io brings; there is no systemd in a test.
      "--runtime=runc",
      "--cgroup-manager=cgroupfs",
      "system",
      "service",
      "--time=0",
      `unix://${socketPath}`,
    ],
    { stdio: ["ignore", log, log], env: { ...process.env, CONTAINERS_CONF: configuration } },
  );
  const exited = new Promise<void>((resolve) => service.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    if (service.exitCode === null && service.signalCode === null) {
      await removeAllContainers(socketPath);
      service.kill("SIGTERM");
      await exited;
    }
    execFileSync("ip", ["netns", "delete", namespaceName]);
    removeWithMounts(directory);
  };
  try {
    for (let attempt = 0; !existsSync(socketPath); attempt++) {
      if (attempt === startAttempts || service.exitCode !== null)
        throw new Error(`podman did not start:\n${readFileSync(logPath, "utf8").slice(-4000)}`);
      await delay(100);
    }
    await loadTestImage(socketPath);
    const cniBinDirectory = writePluginWrappers(directory, namespace);
    return { socketPath, directory, namespaceName, pid: service.pid ?? 0, cniBinDirectory, run, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
