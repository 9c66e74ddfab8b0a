/**
 * Asks a cluster of upstream's with a node, whose containers come from containerd, and writes its answers to answers.json:
 *   bun test/differential/pods/record.ts KUBECONFIG NODE IMAGE
 * KUBECONFIG holds its keys (`kubectl config view --raw --flatten -o json`); IMAGE has a shell and is on the node.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { askAll } from "./ask-all.ts";

const [file = "", nodeName = "", image = ""] = process.argv.slice(2);
const { clusters, users } = JSON.parse(readFileSync(file, "utf8"));
const text = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");
const { cluster } = clusters[0];
const { user } = users[0];
const all = {
  ca: text(cluster["certificate-authority-data"]),
  certificate: text(user["client-certificate-data"]),
  key: text(user["client-key-data"]),
};
const client = new HttpClient({ servers: [cluster.server], credentials: () => all });
const answers = await askAll(client, { nodeName, image });
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
console.log(`${Object.keys(answers).length} answers`);
process.exit();
