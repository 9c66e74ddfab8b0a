/**
 * Asks upstream's API server and writes its answers to answers.json.br. DIR is as upstream.sh makes it, and whole:
 *   UPSTREAM_FLAGS="--audit-policy-file=test/differential/admission/audit-policy.yaml --audit-log-path=DIR/audit.log" \
 *     UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/admission/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import { answersFile } from "./answers-file.ts";
import { answersOf } from "./conversation.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const target = {
  url: read("url"),
  headers: { authorization: `Bearer ${read("token")}` },
  tls: { ca: read("ca.crt") },
};
const answers = await answersOf(target, {
  // It looks for changes of policies once a second.
  settle: () => Bun.sleep(4000),
  async audited() {
    await Bun.sleep(1000);
    return read("audit.log");
  },
});
writeFileSync(answersFile, brotliCompressSync(JSON.stringify(answers)));
process.exit();
