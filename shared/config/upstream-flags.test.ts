import { expect, test } from "bun:test";
import { proxyOptions } from "./board-component-settings.ts";
import { apiServerOptions, controllerManagerOptions, schedulerOptions } from "./component-settings.ts";
import type { Options } from "./option.ts";

const all: Readonly<Record<string, Options>> = {
  apiServerOptions,
  controllerManagerOptions,
  schedulerOptions,
  proxyOptions,
};

test("no flag is there twice, and each reads its own default", () => {
  for (const [component, options] of Object.entries(all)) {
    const names = Object.values(options).map(({ name }) => name);
    expect([component, names.filter((name, index) => names.indexOf(name) !== index)]).toEqual([component, []]);
  }
  const { "concurrent-gc-syncs": syncs, "min-resync-period": resync } = controllerManagerOptions as unknown as Options;
  expect([syncs?.parse("20"), resync?.parse("12h0m0s")]).toEqual([syncs?.fallback, resync?.fallback]);
});

test("waits of the audit's are seconds, or durations as upstream has them", () => {
  const { auditLogBatchMaxWait: log, auditWebhookBatchMaxWait: webhook } = apiServerOptions;
  expect([log.parse("5"), log.parse("1m0s"), webhook.parse("30s"), webhook.fallback]).toEqual([5, 60, 30, 30]);
});
