// What must be true of the publications that listeners of a channel saw: pure checks, no I/O.
// A sequence is a list of ids in the order of arrival; ids are `publisher/number`.

// Each id at most once.
export function duplicates(sequence) {
  const seen = new Set();
  return sequence.filter((id) => seen.size === seen.add(id).size);
}

// Whether `part` stands in `whole` in one piece: what a listener hears between subscribing and leaving.
export function isContiguous(part, whole) {
  if (part.length === 0) return true;
  const start = whole.indexOf(part[0]);
  return start >= 0 && part.every((id, i) => whole[start + i] === id);
}

// The numbers of each publisher rise: it waits for each answer before it publishes the next.
export function outOfTurn(sequence) {
  const last = new Map();
  return sequence.filter((id) => {
    const [publisher, number] = id.split('/');
    const before = last.get(publisher) ?? -1;
    last.set(publisher, Number(number));
    return Number(number) <= before;
  });
}

// Whether one order exists that all sequences, each with gaps, are a part of. Returns the ids that
// contradict each other; none if all agree.
export function contradictions(sequences) {
  const after = new Map();
  const waitsFor = new Map();
  for (const sequence of sequences) {
    sequence.forEach((id, i) => {
      if (!after.has(id)) after.set(id, new Set());
      if (!waitsFor.has(id)) waitsFor.set(id, 0);
      if (i === 0 || after.get(sequence[i - 1]).has(id)) return;
      after.get(sequence[i - 1]).add(id);
      waitsFor.set(id, waitsFor.get(id) + 1);
    });
  }
  const free = [...waitsFor].filter(([, count]) => count === 0).map(([id]) => id);
  while (free.length) {
    const id = free.pop();
    waitsFor.delete(id);
    for (const follower of after.get(id)) {
      waitsFor.set(follower, waitsFor.get(follower) - 1);
      if (waitsFor.get(follower) === 0) free.push(follower);
    }
  }
  return [...waitsFor.keys()];
}
