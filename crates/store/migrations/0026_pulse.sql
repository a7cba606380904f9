-- One row that is written to see whether the store takes writes, and read by nobody.
create table pulse (
  one bigint primary key,
  beat_at bigint not null
);
insert into pulse (one, beat_at) values (1, 0);
