"""The study of what pretraining is worth: one command per table, each `python -m benchmarks.study.NAME --help`.

train     pretrain one model by its row's name and write it to a file
labels    PTB-XL superclasses with 100, 10 and 1 % of the labels (main table)
gains     paired differences between rows of the main table
elsewhere Brugada syndrome in another country, and neighbours in the embedding
readout   teach an embedding to tell wave measures
tasks     PTB-XL subclass, rhythm and form statements
leads     superclasses from reduced lead sets
identify  whose record is it?
agreement two leads of a record against all twelve
fractions 1 to 100 % of the labels, frozen and fine-tuned, against random weights
rates     500 Hz and 100 Hz versions of the same records
beats     MIT-BIH beats across patients
finetune  fine-tuning against training from scratch
reports   ECG and report: prompts, retrieval, probes
ablation  the publication's table, and one change at a time around the defaults
minirocket, wave_vectors  vectors of other methods, for rows of the tables
plots     the pictures of all that

Models that are not given as ``--model NAME=FILE`` are pretrained by the same command and kept in ``--cache``. All
commands go on where they were interrupted. ``--quick`` is a run of two minutes that shows that everything works and
nothing else.
"""
