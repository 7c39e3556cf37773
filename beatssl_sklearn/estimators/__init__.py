"""What users hold: the pretrainer, the embedders and the heads on top of them."""
