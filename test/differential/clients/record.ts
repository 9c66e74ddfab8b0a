/**
 * Asks upstream's kube-apiserver (upstream.sh, with its default admission) and writes its answers:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/clients/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { recordGroups } from "../wire/record-groups.ts";
import { answersFile } from "./answers-file.ts";
import { groups } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
await recordGroups(folder, { groups, answersFile, makes: /setting/ });
