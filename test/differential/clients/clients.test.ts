/** Clients of several languages, and every kind in protobuf, are answered as by upstream's API server v1.35.4 (recorded by record.ts). */
import { testReplay } from "../wire/replay.ts";
import { answersFile } from "./answers-file.ts";
import { differences } from "./differences.ts";
import { groups } from "./requests.ts";

testReplay("what clients send", { groups, answersFile, differences });
