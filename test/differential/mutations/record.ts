/**
 * Asks upstream's API server and writes its answers to answers.json.br. DIR is as upstream.sh makes it:
 *   UPSTREAM_FLAGS="--feature-gates=MutatingAdmissionPolicy=true --runtime-config=admissionregistration.k8s.io/v1beta1=true" \
 *     UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/mutations/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { answersFile } from "./answers-file.ts";
import { type Ask, answersOf } from "./conversation.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

const ask: Ask = (path, init) =>
  fetch(url + path, {
    ...init,
    headers: { ...init?.headers, authorization: `Bearer ${token}` },
    tls: { ca },
  } as RequestInit);

// It looks for schemas every five seconds.
const answers = await answersOf(ask, () => Bun.sleep(12_000));
writeFileSync(answersFile, brotliCompressSync(JSON.stringify(answers)));
