import type { SuccessPolicy } from "#shared/api/types/batch-v1.generated.ts";
import { Indexes } from "./indexes.ts";

/** The message of the first rule that the succeeded indexes fulfil; undefined when none is (pure, KEP-3998). */
export function fulfilledRule(
  policy: SuccessPolicy | undefined,
  completions: number,
  succeeded: Indexes,
): string | undefined {
  if (succeeded.count === 0) return undefined;
  const index = (policy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && succeeded.count >= succeededCount;
    const required = Indexes.parse(succeededIndexes, completions);
    const reached = required.overlap(succeeded);
    if (required.count === 0) return false;
    return reached === required.count || (succeededCount !== undefined && reached >= succeededCount);
  });
  return index < 0 ? undefined : `Matched rules at index ${index}`;
}
