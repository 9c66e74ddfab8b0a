/** Kubernetes' own side programs of a CSI driver, as processes against one API server and one driver. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { adminKubeconfig } from "../support/admin-kubeconfig.ts";
import type { SecuredServer } from "../support/secured-server.ts";

const cache = process.env["CSI_CACHE"] ?? join(homedir(), ".cache", "bramble-csi");
export const crdFolder = join(cache, "crds");
const csiProgram = (name: string): string => join(cache, "bin", name);

const programs: Readonly<Record<string, readonly string[]>> = {
  "csi-provisioner": ["--extra-create-metadata", "--http-endpoint="],
  "csi-attacher": [],
  "csi-resizer": [],
  "csi-snapshotter": [],
  "snapshot-controller": [],
};

/** False where test/csi/build.sh has not been run. */
export const canRunCsiPrograms = (): boolean =>
  existsSync(crdFolder) && Object.keys(programs).every((name) => existsSync(csiProgram(name)));

export class CsiPrograms {
  readonly #folder = mkdtempSync(join(tmpdir(), "csi-programs-"));
  readonly #running: { name: string; process: Bun.Subprocess }[] = [];

  async start(server: SecuredServer, driverSocket: string): Promise<void> {
    const kubeconfig = join(this.#folder, "kubeconfig");
    writeFileSync(kubeconfig, await adminKubeconfig(server), { mode: 0o600 });
    for (const [name, flags] of Object.entries(programs)) {
      const socket = name === "snapshot-controller" ? [] : [`--csi-address=${driverSocket}`];
      const command = [csiProgram(name), `--kubeconfig=${kubeconfig}`, "-v=5", ...socket, ...flags];
      const log = Bun.file(join(this.#folder, `${name}.log`));
      this.#running.push({ name, process: Bun.spawn(command, { stdout: log, stderr: log }) });
    }
  }

  /** The last lines that each has written, for what goes wrong. */
  async logs(): Promise<string> {
    const tails = this.#running.map(async ({ name }) => {
      const text = await Bun.file(join(this.#folder, `${name}.log`)).text();
      return `--- ${name}\n${text.split("\n").slice(-30).join("\n")}`;
    });
    return (await Promise.all(tails)).join("\n");
  }

  async stop(): Promise<void> {
    for (const { process } of this.#running) process.kill();
    await Promise.all(this.#running.map(({ process }) => process.exited));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
