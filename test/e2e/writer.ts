/** Clients that write while masters and members of etcd die, and know in the end what must be there. */
import { expect } from "bun:test";
import { isAlreadyExists, isConflict } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";

/** What one writer has been told, and what it must find in the end. */
export class Writer {
  readonly made = new Map<string, string>();
  readonly appended: string[] = [];
  acknowledged = 0;
  private ended = false;

  constructor(
    private readonly name: string,
    private readonly client: Client,
  ) {}

  end(): void {
    this.ended = true;
  }

  /** Creates objects and appends to a list in one of its own. After an answer that was lost it looks before it goes on. */
  async run(): Promise<void> {
    await this.create(this.name, { list: "" });
    for (let n = 0; !this.ended; n += 1) {
      await this.create(`${this.name}-${n}`, { n: String(n) });
      await this.append(`${this.name}.${n}`);
    }
  }

  private async create(name: string, data: Record<string, string>): Promise<void> {
    const object: ConfigMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data };
    for (;;) {
      try {
        const created = await this.client.create(configMaps, object);
        this.made.set(name, created.metadata.uid ?? "");
        this.acknowledged += 1;
        return;
      } catch (error) {
        // A try before was made after all: names are used once.
        if (isAlreadyExists(error)) return;
        await Bun.sleep(50);
      }
    }
  }

  private async append(item: string): Promise<void> {
    for (;;) {
      try {
        const present = await this.client.get(configMaps, { namespace: "default", name: this.name });
        const list = present.data?.["list"] ?? "";
        if (list.split(" ").includes(item)) return;
        await this.client.update(configMaps, { ...present, data: { list: `${list} ${item}`.trim() } });
        this.appended.push(item);
        this.acknowledged += 1;
        return;
      } catch (error) {
        // Nobody else writes to it, so a conflict means that an earlier try was made.
        if (!isConflict(error)) await Bun.sleep(50);
      }
    }
  }

  async verify(): Promise<void> {
    const own = await this.client.get(configMaps, { namespace: "default", name: this.name });
    const list = (own.data?.["list"] ?? "").split(" ").filter((item) => item !== "");
    expect(new Set(list).size).toBe(list.length);
    expect(this.appended.filter((item) => !list.includes(item))).toEqual([]);
    const { items } = await this.client.list(configMaps, { namespace: "default" });
    const uids = new Map(items.map(({ metadata }) => [metadata.name ?? "", metadata.uid]));
    expect([...this.made].filter(([name, uid]) => uids.get(name) !== uid)).toEqual([]);
  }
}

/** Writers that write for as long as they are not ended. */
export class Writers {
  private readonly writers: readonly Writer[];
  private readonly running: readonly Promise<void>[];

  constructor(client: Client, names: readonly string[]) {
    this.writers = names.map((name) => new Writer(`writer-${name}`, client));
    this.running = this.writers.map((writer) => writer.run());
  }

  get acknowledged(): number {
    return this.writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
  }

  /** Waits for so many more writes. @returns after how many milliseconds each writer may have had an answer. */
  async more(count: number): Promise<number> {
    const from = this.acknowledged;
    const began_ms = performance.now();
    let resumed_ms: number | undefined;
    while (this.acknowledged < from + count) {
      if (this.acknowledged > from + this.writers.length) resumed_ms ??= performance.now() - began_ms;
      await Bun.sleep(20);
    }
    return resumed_ms ?? 0;
  }

  /** Ends them, and looks for every write that was acknowledged. */
  async end(): Promise<void> {
    for (const writer of this.writers) writer.end();
    await Promise.all(this.running);
    for (const writer of this.writers) await writer.verify();
  }
}
