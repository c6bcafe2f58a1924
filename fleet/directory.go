package fleet

import "maps"

// directory is what a worker knows of the records of all connections, so that it can
// start those of a shard at once. It keeps them encoded, which takes less memory.
type directory struct {
	byShard []map[string]record
	changes []uint64 // counts the records that were added to a shard, or removed
	pass    uint32   // counts the calls of begin
	seq     uint64   // counts the changes
}

// record is the record of a connection as observed. The value of a removed one is nil.
type record struct {
	value    []byte
	revision uint64
	seq      uint64 // the number of the change
	pass     uint32 // in which it was observed last
}

// missing is a record that was removed while nothing was observed.
type missing struct {
	shard int
	key   string
	seq   uint64 // the number of the change
}

func newDirectory(shards int) directory {
	return directory{byShard: make([]map[string]record, shards), changes: make([]uint64, shards)}
}

// begin begins another pass: all records that exist will be observed.
func (d *directory) begin() { d.pass++ }

// observe notes a record. It returns the record with its number, and reports whether it
// differs from what was known. Its revision may be lower: an Engine may go back to an
// earlier state.
func (d *directory) observe(shard int, key string, r record) (record, bool) {
	known, ok := d.byShard[shard][key]
	if ok && r.value != nil && r.revision == known.revision {
		known.pass = d.pass
		d.byShard[shard][key] = known
		return known, false
	}
	d.seq++
	r.seq, r.pass = d.seq, d.pass
	if ok != (r.value != nil) {
		d.changes[shard]++
	}
	if r.value == nil {
		delete(d.byShard[shard], key)
		return r, ok
	}
	if d.byShard[shard] == nil {
		d.byShard[shard] = map[string]record{}
	}
	d.byShard[shard][key] = r
	return r, true
}

// complete removes and returns the records that were not observed in this pass.
func (d *directory) complete() (gone []missing) {
	for shard, records := range d.byShard {
		for key, r := range records {
			if r.pass != d.pass {
				d.seq++
				gone = append(gone, missing{shard, key, d.seq})
				delete(records, key)
				d.changes[shard]++
			}
		}
	}
	return gone
}

// of returns the records of a shard.
func (d *directory) of(shard int) map[string]record { return maps.Clone(d.byShard[shard]) }
