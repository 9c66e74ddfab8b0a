/** Lists that several managers write come out as in upstream's API server v1.35.4 (recorded by record.ts), but for differences.ts. */
import { testReplay } from "../wire/replay.ts";
import { answersFile } from "./answers-file.ts";
import { differences } from "./differences.ts";
import { groups } from "./requests.ts";

testReplay("lists that several managers write", { groups, answersFile, differences });
