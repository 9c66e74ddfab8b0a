/**
 * Asks upstream's kube-apiserver and writes its answers to answers.json. It reaches servers at their endpoints, as Bramble does, and
 * endpoints may not be on loopback: ADDRESS is another one of this machine.
 *   UPSTREAM_FLAGS="--enable-aggregator-routing" test/differential/upstream.sh DIR
 *   bun test/differential/aggregation/record.ts DIR ADDRESS; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Backings } from "./backing.ts";
import { answersOf } from "./conversation.ts";

const [folder = "", address = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

const backings = await Backings.open(address);
const answers = await answersOf(
  (path, init) =>
    fetch(url + path, {
      ...init,
      headers: { accept: "application/json", ...init?.headers, authorization: `Bearer ${token}` },
      redirect: "manual",
      tls: { ca },
    } as RequestInit),
  backings,
);
backings.stop();
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
process.exit();
