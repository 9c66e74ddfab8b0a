import { readdir, readFile, readlink } from "node:fs/promises";
import type { PortFacts } from "./facts.ts";

export interface WantedPort {
  readonly port: number;
  readonly purpose: string;
}

/** Who listens on each of the ports. Port 0 means that the part is switched off, and is left out. */
export async function probePorts(wanted: readonly WantedPort[]): Promise<PortFacts[]> {
  const tables = await Promise.all(
    ["/proc/net/tcp", "/proc/net/tcp6"].map((path) => readFile(path, "utf8").catch(() => "")),
  );
  const inodes = new Map(tables.flatMap((table) => [...parseListeners(table)]));
  return Promise.all(
    wanted
      .filter(({ port }) => port > 0)
      .map(async ({ port, purpose }) => {
        const inode = inodes.get(port);
        return { port, purpose, holder: inode === undefined ? undefined : await holderOf(inode) };
      }),
  );
}

const listening = "0A";

/** Socket inodes by port of what listens, from the text of /proc/net/tcp or tcp6. */
export function parseListeners(table: string): Map<number, string> {
  const listeners = new Map<number, string>();
  for (const line of table.trim().split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [, local = "", , state] = fields;
    const inode = fields[9];
    if (state === listening && inode !== undefined)
      listeners.set(Number.parseInt(local.split(":").at(-1) ?? "", 16), inode);
  }
  return listeners;
}

/** `name (PID n)` of the process that has the socket. Only root sees those of others. */
async function holderOf(inode: string): Promise<string> {
  const target = `socket:[${inode}]`;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const files = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
    for (const file of files) {
      // Processes and files end while we look.
      if ((await readlink(`/proc/${pid}/fd/${file}`).catch(() => "")) !== target) continue;
      const name = (await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "?")).trim();
      return `${name} (PID ${pid})`;
    }
  }
  return "another program";
}
