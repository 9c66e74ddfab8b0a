/** Writes to objects that are there are answered as by upstream's API server v1.35.4 (recorded by record.ts), but for differences.ts. */
import { testReplay } from "../wire/replay.ts";
import { answersFile } from "./answers-file.ts";
import { differences } from "./differences.ts";
import { groups } from "./requests.ts";

testReplay("writes to objects that are there", { groups, answersFile, differences });
