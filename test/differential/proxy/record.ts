/**
 * Asks upstream's kube-apiserver and writes its answers to answers.json. ADDRESS is one of this machine, not on loopback.
 *   UPSTREAM_FLAGS="--enable-aggregator-routing" test/differential/upstream.sh DIR
 *   bun test/differential/proxy/record.ts DIR ADDRESS; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startBacking } from "./backing.ts";
import { answersOf } from "./conversation.ts";

const [folder = "", address = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const { hostname: host, port } = new URL(read("url"));

const backing = await startBacking(address, address);
const target = {
  host,
  port: Number(port),
  tls: { ca: read("ca.crt") },
  headers: [`Authorization: Bearer ${read("token")}`],
};
const answers = await answersOf(target, address, backing.port);
backing.stop();
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
console.log(`${Object.keys(answers).length} answers`);
process.exit();
