/**
 * A master from its first start on: clients write, it is killed, starts again, ends. Notes what clients were told.
 * Arguments: folder, notes.
 */
import { mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kinds, startMaster } from "./master-process.ts";

const [folder = "", notesPath = ""] = process.argv.slice(2);
const notes = openSync(notesPath, "a");
const note = (...words: string[]): void => void writeSync(notes, `${words.join(" ")}\n`);
const run = mkdtempSync(join(tmpdir(), "bramble-power-cut-run-"));

for (const [round, signal] of (["SIGKILL", "SIGTERM"] as const).entries()) {
  const master = await startMaster(folder, run);
  note("cluster", String(Bun.hash(readFileSync(join(folder, "data/pki/ca.crt")))));
  note("token", readFileSync(join(folder, "data/token"), "utf8").trim());
  let isOver = false;
  const writing = Array.from({ length: 4 }, async (_, writer) => {
    for (let count = 0; !isOver && count < 30; count++) {
      const name = `w${writer}-${count % 3}`;
      const tag = `${round}.${count}`;
      for (const [kind, ref] of kinds) {
        note("issue", `${kind}/${name}`, tag);
        const body = {
          apiVersion: "v1",
          kind,
          metadata: { name, namespace: "default", annotations: { tag, fill: "x".repeat(count * 50) } },
        };
        const given = { type: "apply", force: true, body } as const;
        const written = await master.client.patch(ref, { namespace: "default", name }, given, { fieldManager: "test" });
        note("ack", `${kind}/${name}`, tag, written.metadata.resourceVersion ?? "");
      }
    }
  });
  if (signal === "SIGKILL") {
    await Bun.sleep(400);
    await master.stop(signal);
    await Promise.allSettled(writing);
  } else {
    await Promise.all(writing);
    await master.stop(signal);
  }
  isOver = true;
}
rmSync(run, { recursive: true, force: true });
process.exit(0);
