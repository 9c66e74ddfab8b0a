/** Fields that samples lack are kept, dropped and refused as in upstream's API server v1.35.4 (recorded by record.ts). */
import { testReplay } from "../wire/replay.ts";
import { answersFile } from "./answers-file.ts";
import { groups } from "./requests.ts";

testReplay("fields that samples lack", { groups, answersFile });
