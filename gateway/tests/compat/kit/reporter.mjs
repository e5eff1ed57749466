// What `node --test` says: a line for each case, what went wrong, and one line with the counts.

export default async function* reporter(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    // A file counts as a case of its own; only its failure is news.
    const isFile = data?.name?.endsWith('.mjs');
    if (type === 'test:stderr' || type === 'test:stdout') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const skipped = data.skip !== undefined;
    if (type === 'test:fail') {
      counts.failed++;
      const { error } = data.details;
      yield `not ok  ${data.name}\n${error?.cause?.stack ?? error?.stack ?? error}\n`;
    } else if (skipped) {
      counts.skipped++;
      yield `skipped ${data.name}: ${data.skip}\n`;
    } else if (!isFile) {
      counts.passed++;
      yield `ok      ${data.name} (${Math.round(data.details.duration_ms)} ms)\n`;
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`;
}
