/**
 * Writes to a store as clients do, and notes what it was told: `issue KEY VALUE`, `ack KEY VALUE REVISION`, and on a later
 * start `seen KEY VALUE REVISION`. Some rounds end by a kill, so that recoveries are among what is cut.
 * Arguments: folder, notes, rounds, writes a round.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "#master/store/store.ts";
import { absent } from "./acknowledged.ts";
import { openTestStore, tagOf, valueFor } from "./store-image.ts";

const [folder = "", notesPath = "", rounds = "1", writes = "50", round] = process.argv.slice(2);

if (round === undefined) {
  for (let n = 0; n < Number(rounds); n++) {
    const child = Bun.spawn({
      cmd: [process.execPath, import.meta.path, folder, notesPath, rounds, writes, String(n)],
      stdout: "inherit",
      stderr: "inherit",
    });
    await child.exited;
    if (child.exitCode !== 0 && child.signalCode !== "SIGKILL") process.exit(1);
  }
} else await write(Number(round));

async function write(round: number): Promise<void> {
  const notes = openSync(notesPath, "a");
  const note = (...words: (string | number)[]): void => void writeSync(notes, `${words.join(" ")}\n`);
  const store = await openTestStore(join(folder, "store"));
  const present = new Map((await store.list("/registry/")).items.map((item) => [item.key, item]));
  for (const { key, value, revision } of present.values()) note("seen", key, tagOf(value), revision);
  let left = Number(writes);
  const writer = async (id: number): Promise<void> => {
    for (let count = 0; left > 0; count++) {
      left--;
      const key = keys(id)[count % keys(id).length] ?? "";
      await change(store, key, `${round}.${id}.${count}`);
    }
  };
  const change = async (store: Store, key: string, tag: string): Promise<void> => {
    const before = await store.get(key);
    const isGoing = before !== undefined && tag.endsWith("3");
    note("issue", key, isGoing ? absent : tag);
    const revision = isGoing
      ? await store.delete(key, before.revision)
      : before
        ? await store.update(key, valueFor(tag), before.revision)
        : await store.create(key, valueFor(tag));
    note("ack", key, isGoing ? absent : tag, revision);
  };
  const writing = Promise.all([0, 1, 2, 3].map(writer));
  // Two of three rounds end as a power cut ends them, in the middle of something.
  if (round % 3 !== 2) {
    while (left > Number(writes) / 8) await Bun.sleep(1);
    process.kill(process.pid, "SIGKILL");
  }
  await writing;
  await store.close();
  closeSync(notes);
  process.exit(0);
}

/** What a writer writes to, in turn; nobody else does. */
function keys(writer: number): string[] {
  const objects = Array.from({ length: 6 }, (_, n) => `/registry/configmaps/default/w${writer}-${n}`);
  return [
    ...objects,
    `/registry/secrets/default/w${writer}`,
    `/registry/events/default/w${writer}`,
    `/registry/leases/kube-node-lease/w${writer}`,
    `/registry/leases/default/w${writer}`,
  ];
}
