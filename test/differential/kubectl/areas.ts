/** What people do with kubectl where no board is needed. */
import { apiServices } from "./areas/api-services.ts";
import { apply } from "./areas/apply.ts";
import { auth } from "./areas/auth.ts";
import { boards } from "./areas/boards.ts";
import { create } from "./areas/create.ts";
import { describing } from "./areas/describing.ts";
import { everyday } from "./areas/everyday.ts";
import { kindsOfAll } from "./areas/kinds.ts";
import { local } from "./areas/local.ts";
import { reading } from "./areas/reading.ts";
import { watching } from "./areas/watching.ts";
import { workloads } from "./areas/workloads.ts";
import type { KubectlArea } from "./command.ts";

/** In the order in which they run: what is of the cluster stays for those that follow. */
export const areas: Readonly<Record<string, KubectlArea>> = {
  everyday: { commands: everyday },
  apply,
  create,
  reading,
  describing,
  kinds: kindsOfAll,
  watching,
  workloads,
  boards,
  auth,
  broken: apiServices,
  local,
};
