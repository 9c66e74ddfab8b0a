/**
 * Runs the commands against upstream's kube-apiserver (upstream.sh, with its default admission) and writes what they said:
 *   bun test/differential/kubectl/record.ts DIR KUBECTL
 * Names of areas after KUBECTL record those alone.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { areas } from "./areas.ts";
import { runArea } from "./run.ts";

const [folder = "", kubectl = "kubectl", ...only] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const connection = { server: read("url"), ca: resolve(folder, "ca.crt"), user: { token: read("token") } };
for (const area of Object.keys(areas).filter((name) => only.length === 0 || only.includes(name))) {
  const answers = await runArea(resolve(kubectl), connection, area);
  writeFileSync(join(import.meta.dir, "answers", `${area}.json`), `${JSON.stringify(answers, undefined, 1)}\n`);
}
