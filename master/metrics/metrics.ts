import type { Log } from "#shared/client/log.ts";
import type { BoardDialer } from "../apiserver/connect/board-dialer.ts";
import type { ResourceDeclaration } from "../apiserver/registry/declaration.ts";
import type { ResourceReader } from "../apiserver/registry/reader.ts";
import { boardHistoryResource } from "./board-history-resource.ts";
import { boardResource } from "./board-resource.ts";
import { type BoardReport, readBoardReport, readHistory, scrapeBoard } from "./board-scraper.ts";
import { metricsResources } from "./metrics-resources.ts";
import { UsageCollector } from "./usage-collector.ts";
import { readUsageSample } from "./usage-sample.ts";

export interface MetricsOptions {
  readonly dialer: Pick<BoardDialer, "dial" | "boards">;
  readonly reader: ResourceReader;
  readonly log: Log;
  /** `left-out`: somebody else serves metrics.k8s.io. */
  readonly metricsApi: "served" | "left-out";
}

/** A board's report stands for this long. */
const reportAge_ms = 5_000;

/** What the master tells of the boards' hardware and usage, all of it asked of them on demand. */
export function metricsDeclarations({ dialer, reader, log, metricsApi }: MetricsOptions): ResourceDeclaration[] {
  const boards = (): readonly string[] => dialer.boards;
  const collector = new UsageCollector({
    scrape: async (board) => readUsageSample(await scrapeBoard(dialer, board, "/metrics/resource"), Date.now()),
    failed: (node, error) => log.debug("a board did not tell its usage", { node, error }),
  });
  const reports = new Map<string, { readonly at_ms: number; readonly report: Promise<BoardReport> }>();
  const report = (board: string): Promise<BoardReport> => {
    const now_ms = performance.now();
    for (const [name, { at_ms }] of reports) if (now_ms - at_ms > reportAge_ms) reports.delete(name);
    const known = reports.get(board);
    if (known) return known.report;
    const asked = scrapeBoard(dialer, board, "/metrics/board").then(readBoardReport);
    reports.set(board, { at_ms: now_ms, report: asked });
    return asked;
  };
  return [
    boardResource({ reader, boards, report }),
    boardHistoryResource({
      reader,
      boards,
      history: async (board) => readHistory(await scrapeBoard(dialer, board, "/stats/history")),
    }),
    ...(metricsApi === "served" ? metricsResources({ reader, collector, boards }) : []),
  ];
}
