/**
 * Runs the commands against upstream's kube-apiserver (upstream.sh, with its default admission) and writes what they said:
 *   bun test/differential/kubectl/record.ts DIR KUBECTL
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runAll } from "./run.ts";

const [folder = "", kubectl = "kubectl"] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const connection = [
  `--server=${read("url")}`,
  `--certificate-authority=${join(folder, "ca.crt")}`,
  `--token=${read("token")}`,
];
const answers = await runAll(kubectl, connection);
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
