/**
 * Asks upstream's kube-apiserver and writes its answers to answers.json, to openapi-answers.json or to watch-answers.json. It reaches servers at their endpoints, as Bramble does, and
 * endpoints may not be on loopback: ADDRESS is another one of this machine.
 *   UPSTREAM_FLAGS="--enable-aggregator-routing" test/differential/upstream.sh DIR
 *   bun test/differential/aggregation/record.ts DIR ADDRESS [openapi | watches]; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Backings } from "./backing.ts";
import { type Answers, answersOf, type Fetch } from "./conversation.ts";
import { openApiAnswersOf } from "./openapi-conversation.ts";
import { watchAnswersOf } from "./watch-conversation.ts";

const [folder = "", address = "", what = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

const backings = await Backings.open(address);
const fetched: Fetch = (path, init) =>
  fetch(url + path, {
    ...init,
    headers: { accept: "application/json", ...init?.headers, authorization: `Bearer ${token}` },
    redirect: "manual",
    tls: { ca },
  } as RequestInit);
const write = (name: string, answers: Answers): void =>
  writeFileSync(join(import.meta.dir, name), `${JSON.stringify(answers, undefined, 1)}\n`);
// Servers that hang, of the one conversation, would keep the other waiting.
if (what === "openapi") write("openapi-answers.json", await openApiAnswersOf(fetched, backings));
else if (what === "watches") write("watch-answers.json", await watchAnswersOf(fetched, backings));
else write("answers.json", await answersOf(fetched, backings));
backings.stop();
process.exit();
