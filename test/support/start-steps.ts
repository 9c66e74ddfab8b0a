import { until } from "#shared/testing/until.ts";
import type { ApiServer } from "../../master/apiserver/server.ts";

/** Resolves once everything that a server begins at its start is done: from then on /healthz and /readyz say so. */
export const stepsDone = (server: ApiServer): Promise<unknown> =>
  until("the steps of the server's start", () =>
    Promise.all(Object.values(server.health.steps.checks(false)).map((check) => check())),
  );
