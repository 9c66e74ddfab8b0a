import type { PriorityLevelConfiguration } from "#shared/api/types/flowcontrol-v1.generated.ts";
import type { LevelLimits, PriorityLevel } from "./priority-level.ts";

/** Shares of the server's seats, by level name (KEP-1040: rounded up, so that every level has one). Pure. */
export function limitsOf(
  configurations: readonly PriorityLevelConfiguration[],
  serverSeats: number,
): Map<string, LevelLimits> {
  const sharesOf = ({ spec }: PriorityLevelConfiguration): number =>
    (spec.type === "Exempt" ? spec.exempt?.nominalConcurrencyShares : (spec.limited?.nominalConcurrencyShares ?? 30)) ??
    0;
  const all = configurations.reduce((sum, configuration) => sum + sharesOf(configuration), 0);
  return new Map(
    configurations.map((configuration) => {
      const { limited, exempt } = configuration.spec;
      const nominal = all === 0 ? 0 : Math.ceil((serverSeats * sharesOf(configuration)) / all);
      const lendable = Math.round((nominal * ((limited ?? exempt)?.lendablePercent ?? 0)) / 100);
      const percent = limited?.borrowingLimitPercent;
      const borrowable = percent === undefined ? serverSeats : Math.round((nominal * percent) / 100);
      return [configuration.metadata.name ?? "", { nominal, lendable, borrowable }];
    }),
  );
}

/** Whether a level may give so many seats more, by what all levels use now. What it does not lend is always its own; its
 *  other seats it has unless they are lent; beyond them it borrows what others lend and do not use. */
export function hasSeats(level: PriorityLevel, width: number, levels: Iterable<PriorityLevel>): boolean {
  // A request that is wider than its level still runs: alone.
  if (level.seats === 0) return true;
  const { nominal, lendable, borrowable } = level.limits;
  const wanted = level.seats + width;
  if (wanted <= nominal - lendable) return true;
  if (wanted > nominal + borrowable) return false;
  // What others have borrowed comes out of what is lent, this level's part included.
  let lent = wanted - nominal;
  for (const other of levels) {
    if (other === level || other.isExempt) continue;
    const { nominal: own, lendable: lends } = other.limits;
    lent += Math.max(0, other.seats - own);
    lent -= Math.min(lends, Math.max(0, own - other.seats));
  }
  return lent <= 0;
}
