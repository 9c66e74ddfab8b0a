/** MutatingAdmissionPolicies are served as by upstream's API server v1.35.4 that has them on (recorded by record.ts). */
import { testReplay } from "../wire/replay.ts";
import { answersFile } from "./answers-file.ts";
import { groups } from "./requests.ts";
import { settings } from "./settings.ts";

testReplay("mutating policies", { groups, answersFile, settings });
