import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { KubeObject } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { configMaps, secrets } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";

/** What clients write in these runs. */
export const kinds: readonly (readonly [kind: string, ref: ResourceRef<KubeObject>])[] = [
  ["ConfigMap", configMaps as ResourceRef<KubeObject>],
  ["Secret", secrets as ResourceRef<KubeObject>],
];

const bramble = resolve(import.meta.dir, "../../bramble.ts");
const patience_ms = 120_000;

export interface RunningMaster {
  readonly client: HttpClient;
  readonly process: Bun.Subprocess;
  /** The end of what it said. */
  log(): Promise<string>;
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
}

/** Runs `bramble master` without an agent on a data folder, until it is ready. Rejects with its log when it ends before.
 *  @param through commands that run what follows them, for instance in a namespace. */
export async function startMaster(
  folder: string,
  run: string,
  through: readonly string[] = [],
): Promise<RunningMaster> {
  mkdirSync(run, { recursive: true });
  writeFileSync(join(run, "none.yaml"), "");
  const [port, mqttPort] = [await freePort(), await freePort()];
  const child = Bun.spawn({
    cmd: [
      ...through,
      process.execPath,
      bramble,
      "master",
      "--no-agent",
      `--config=${run}/none.yaml`,
      `--data-dir=${folder}/data`,
      `--run-dir=${run}`,
      `--write-kubeconfig=${folder}/admin.yaml`,
      "--backup-schedule=",
      `--https-port=${port}`,
      `--mqtt-port=${mqttPort}`,
    ],
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(run, "log")),
  });
  const log = (): Promise<string> => Bun.file(join(run, "log")).text();
  const end_ms = performance.now() + patience_ms;
  for (;;) {
    try {
      const { servers, credentials } = loadKubeconfig(join(folder, "admin.yaml"));
      // The file may be of an earlier start, at another port.
      if (servers[0]?.endsWith(`:${port}`)) {
        const client = new HttpClient({ servers, credentials });
        await client.raw({ method: "GET", path: "/readyz" });
        const stop = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
          child.kill(signal);
          await child.exited;
        };
        return { client, process: child, log, stop };
      }
    } catch {
      // Not ready yet.
    }
    if (child.exitCode !== null || performance.now() > end_ms) {
      child.kill("SIGKILL");
      throw new Error(`the master does not come up:\n${await log()}`);
    }
    await Bun.sleep(50);
  }
}
