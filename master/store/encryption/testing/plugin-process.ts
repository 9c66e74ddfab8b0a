/** A key service in a process of its own, whose behaviour tests change while it runs. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Behaviour } from "./kms-plugin.ts";

export class KmsPluginProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), "bramble-kms-"));
  readonly #behaviourPath = join(this.#folder, "behaviour.json");
  readonly socket = join(this.#folder, "kms.sock");
  #process: ReturnType<typeof spawn> | undefined;

  /** `unix:///…` */
  get endpoint(): string {
    return `unix://${this.socket}`;
  }

  behave(behaviour: Behaviour): void {
    // In one piece: it may be read at any time.
    const next = `${this.#behaviourPath}.next`;
    writeFileSync(next, JSON.stringify(behaviour));
    renameSync(next, this.#behaviourPath);
  }

  /** Resolves once it listens. */
  async start(behaviour: Behaviour = {}): Promise<void> {
    this.behave(behaviour);
    const started = spawn(this.socket, this.#behaviourPath);
    this.#process = started;
    for await (const chunk of started.stdout) if (Buffer.from(chunk).toString().includes("ready")) return;
    throw new Error("the key service ended before it listened");
  }

  /** As when it crashes: the socket stays. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = undefined;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const spawn = (socket: string, behaviour: string) =>
  Bun.spawn([process.execPath, join(import.meta.dir, "kms-plugin.ts"), socket, behaviour], {
    stdout: "pipe",
    stderr: "inherit",
  });
